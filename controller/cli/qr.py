"""A QR code for a terminal, in half blocks; it needs no colors."""

import io


def qr(text: str) -> str:
    import segno

    out = io.StringIO()
    segno.make_qr(text, error="m").terminal(out, compact=True)
    return out.getvalue()
