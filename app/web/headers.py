"""Security headers of every response: store nothing, load nothing from elsewhere."""

from __future__ import annotations

from flask import Response, request

from app.private.site import ISOLATION, POLICY

# data: for the analysed picture and its heat map, blob: for the chosen photo before it is sent.
CONTENT_POLICY = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data: blob:",
        "media-src 'self' blob:",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)

HEADERS = {
    "Content-Security-Policy": CONTENT_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


# The page that computes in the browser needs WebAssembly, and several threads.
PRIVATE_HEADERS = {**HEADERS, "Content-Security-Policy": f"{POLICY}; frame-ancestors 'none'", **ISOLATION}


def add_headers(response: Response) -> Response:
    """Add the security headers; everything but static files must not be stored."""
    response.headers.extend(PRIVATE_HEADERS if request.blueprint == "private" else HEADERS)
    if request.is_secure:
        response.headers["Strict-Transport-Security"] = "max-age=31536000"
    if request.endpoint != "static":
        response.headers["Cache-Control"] = "no-store"
    return response
