"""Licences: the file's format, and what a licence allows. Reads no file and no clock."""
