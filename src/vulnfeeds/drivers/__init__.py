"""One module or folder per upstream; `formats` holds what several share, `registry` lists them all."""
