"""Makes the image: from packages a root file system, from that an ISO. Effects live here."""
