"""What runs inside the booted environment: `init`, static files, and the programs of its console."""
