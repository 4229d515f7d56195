"""Numbered changes of the schema, one folder per dialect; a file that has shipped never changes again."""
