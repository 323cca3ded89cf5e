"""Virtual machines to start the image on: for tests, and for a lab with real firmware and a real kernel."""
