"""The error statuses of the HTTP API."""

from __future__ import annotations

from model.image import MAX_BYTES

MEANINGS: dict[str, tuple[str, tuple[str, str, str]]] = {
    "400": (
        "No picture, several pictures, an empty one, or an invalid parameter.",
        (
            "invalid_parameter",
            "heatmap is 'maybe'; 1 or 0 is expected.",
            "Write ?heatmap=1, or leave it out.",
        ),
    ),
    "401": (
        "The server requires a key, and none or an invalid one was sent.",
        ("unauthorized", "A key is needed; none was sent.", "A program sends `Authorization: Bearer KEY`."),
    ),
    "403": (
        "Sent by a page of another site.",
        ("cross_site", "This request was sent by a page of another site.", "Send it from a program."),
    ),
    "405": (
        "The method is not allowed here; Allow lists those that are.",
        (
            "method_not_allowed",
            "This address does not accept PUT requests.",
            "See /docs for what it accepts.",
        ),
    ),
    "408": (
        "The request did not arrive completely within the server's time limit.",
        ("request_timeout", "The request did not arrive completely.", "Try again with a smaller copy."),
    ),
    "413": (
        f"Over {MAX_BYTES / 1e6:.0f} MB or too many pixels.",
        ("image_too_large", "The request is too large.", "Save a smaller copy and try again."),
    ),
    "415": (
        "A Content-Type or a picture format that is not supported.",
        ("unsupported_format", "We can't open this kind of file.", "Save it as JPEG or PNG."),
    ),
    "422": (
        "A picture that is damaged, too small or too narrow.",
        ("invalid_image", "This file seems cut off or damaged.", "Save it again, or take another one."),
    ),
    "429": (
        "Too many requests from this key or address; Retry-After says how many seconds to wait.",
        ("too_many_requests", "There were too many requests.", "Wait, then continue more slowly."),
    ),
    "500": (
        "An error in the server.",
        ("internal_error", "Something went wrong in the server.", "Try again."),
    ),
    "503": (
        "The queue is full (Retry-After says when to try again), or the keys cannot be read.",
        ("overloaded", "The server is busy: its queue is full.", "Try again later."),
    ),
}
"""Status → its meaning, and an example error: code, message, hint."""
