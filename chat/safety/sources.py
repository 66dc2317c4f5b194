"""The one door for pictures that a request names: a data URL, a web address, or a file."""

from __future__ import annotations

from dataclasses import dataclass

from PIL import Image

from chat.safety.fetch import PictureFetcher
from chat.safety.limits import SafetyLimits
from chat.safety.pictures import open_data_url, open_upload
from chat.safety.roots import AllowedRoots
from lisa.errors import ImageError


@dataclass(frozen=True)
class PictureSources:
    """Where pictures may come from.

    Attributes:
        limits: Bounds for every picture.
        fetcher: Fetches web addresses; None for a server that fetches none.
        roots: Folders whose files may be named; None for none.
    """

    limits: SafetyLimits
    fetcher: PictureFetcher | None = None
    roots: AllowedRoots | None = None

    def open(self, source: str) -> Image.Image:
        """Open a picture.

        Args:
            source: `data:image/png;base64,...`, `https://...`, or a path.

        Returns:
            RGB, upright.

        Raises:
            ImageError: If pictures may not come from there, or this one is refused.
        """
        scheme = source[:12].partition(":")[0].strip().lower()
        if scheme == "data":
            return open_data_url(source, self.limits)
        if scheme in ("http", "https"):
            if self.fetcher is None:
                raise ImageError(
                    "this server fetches no addresses: send the picture as a data URL."
                )
            return open_upload(self.fetcher.fetch(source), self.limits)
        if self.roots is None:
            raise ImageError(
                f"{source[:80]!r} is not a picture that this server opens: send it as a data URL."
            )
        return open_upload(self.roots.read(source, self.limits.upload_bytes), self.limits)
