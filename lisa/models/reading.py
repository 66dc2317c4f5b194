"""What a language model has read of a conversation, kept so that the next turn reads on from there.

The keys and values of earlier positions do not depend on later ones. So of a conversation that has
grown only what is new has to be read; of one that was changed, everything from the first change on.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from transformers import DynamicCache, PreTrainedModel

from lisa.errors import ConfigError
from lisa.models.outputs import EncodedImage


class Reading:
    """The ids that were read and the cache of their keys and values; grows with each answer.

    It belongs to one conversation about one picture at a time, and to one thread.

    Attributes:
        ids: What the cache holds, image placeholders expanded.
        reused: How many ids the last answer did not have to read again.
    """

    def __init__(self) -> None:
        self.ids: list[int] = []
        self.reused = 0
        self._cache: DynamicCache | None = None
        self._image: EncodedImage | None = None
        self._begun: list[int] = []

    def begin(
        self,
        backbone: PreTrainedModel,
        prompts: Tensor,
        images: Sequence[EncodedImage],
        image_token: int,
    ) -> DynamicCache:
        """Return a cache that holds the longest useful beginning of a conversation.

        It lacks the last id at least, which has to be read to go on.

        Args:
            backbone: That reads.
            prompts: (1, T) ids of the whole conversation.
            images: The picture that it shows; another one than before makes everything new.
            image_token: Id that stands for each of its tokens.

        Raises:
            ConfigError: If there are several conversations.
        """
        if len(prompts) != 1:
            raise ConfigError(
                f"A reading belongs to one conversation, and {len(prompts)} were given: leave it "
                "out, or give them one by one."
            )
        ids = prompts[0].tolist()
        shared = self._shared(ids) if images[0].image_tokens is self._tokens() else 0
        # A picture is read as a whole; windows have lost what stood before them.
        if image_token in ids[shared:] or self._cache is None or any(self._cache.is_sliding):
            shared = 0
        cache = self._cache if shared else None
        if cache is None:
            cache = DynamicCache(config=backbone.config.get_text_config())
        elif shared < len(self.ids):
            cache.crop(shared - len(self.ids))
        self.reused, self._begun, self._image = shared, ids, images[0]
        # Until `keep` says what the cache holds then, nothing is known of it: reading may fail.
        self.ids, self._cache = [], cache
        return cache

    def keep(self, new_ids: Tensor) -> None:
        """Note the answer (1, K); its last id was chosen, but not read."""
        self.ids = [*self._begun, *new_ids[0, :-1].tolist()]

    def _tokens(self) -> Tensor | None:
        return None if self._image is None else self._image.image_tokens

    def _shared(self, ids: Sequence[int]) -> int:
        """Count the equal ids from the left, all but the last of `ids` at most."""
        for place, (one, other) in enumerate(zip(ids[:-1], self.ids, strict=False)):
            if one != other:
                return place
        return min(len(ids) - 1, len(self.ids))
