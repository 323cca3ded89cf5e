"""The lab's Talos: what a simulated machine runs after it booted from a disk that holds the image."""
