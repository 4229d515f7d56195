"""Drivers rhel and centos, and the CSAF format that they share with others."""
