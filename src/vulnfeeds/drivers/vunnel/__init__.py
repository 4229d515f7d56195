"""vunnel: sources that we lack, by way of a program or of what one left; see driver.py."""
