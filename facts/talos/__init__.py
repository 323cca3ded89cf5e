"""The Talos API's wire format (`wire.txt`, `messages`) and the reading of its resources (`resources`)."""
