"""Which cut-outs may be part of the pictures that this repository carries.

The copyright statement of Debian's `tuxpaint-stamps-default` puts all of it under the GNU
General Public License, version 2. Its change log names other terms, or a source without terms, for
the cut-outs below: they serve for training on one's own machine, but no fixed scene shows them.
"""

from __future__ import annotations

_OTHER_TERMS = {
    "CC BY-SA": (
        "animals/birds/heron_greatblue.png",
        "animals/birds/heron_greatblue_flying.png",
        "animals/birds/pelican.png",
        "plants/flowers/adeenia.png",
        "plants/flowers/anthoorium.png",
        "plants/flowers/appooppanthady.png",
        "plants/flowers/bolsom.png",
        "plants/flowers/chemparathi.png",
        "plants/flowers/plastic/chuvanna_plastic_poo.png",
        "seasonal/christmas/German_Christmas_toy.png",
        "town/monuments/inukshuk-photo.png",
    ),
    "CC BY": (
        "seasonal/christmas/Mince_Pie.png",
        "seasonal/christmas/Roast_turkey.png",
        "vehicles/emergency/firetruck.png",
    ),
    "GNU Free Documentation License": (
        "animals/birds/helmeted_guineafowl.png",
        "animals/insects/Brown_slug.png",
        "animals/insects/Woodlouse.png",
        "food/fruit/Apricot_whole.png",
        "food/fruit/Cherry_Stella.png",
        "food/fruit/Strawberry2.png",
        "household/Lightbulb.png",
        "seasonal/christmas/Christmas_pudding.png",
    ),
    "from Wikipedia, terms not stated": (
        "food/fruit/apricot.png",
        "hobbies/music/brass/trumpet.png",
        "hobbies/music/percussion/cymbal_crash.png",
        "hobbies/music/percussion/drum_tomtom_floor.png",
        "hobbies/music/percussion/drumkit.png",
        "hobbies/music/string/cello.png",
        "hobbies/music/string/guitar_classical.png",
        "hobbies/music/string/guitar_electric.png",
        "hobbies/music/string/guitar_electric_bass.png",
        "hobbies/music/string/violin.png",
        "hobbies/music/wind/bassoon.png",
        "sports/australian_rules_football.png",
        "sports/basketball.png",
        "sports/cricketball.png",
        "sports/tennis_ball.png",
        "sports/tennis_racket.png",
        "town/roadsigns/traffic_cone.png",
    ),
    "from a stock photo site, terms not stated": (
        "food/fruit/grapes.png",
        "food/fruit/pineapple.png",
        "food/fruit/sliced_lime.png",
        "food/fruit/sliced_orange.png",
    ),
    "shows a protected character": ("animals/dinosaur/cartoon/dinosaurSings.png",),
}
_OTHER_FOLDERS = {"designs of mints": "symbols/money/"}

EXCLUDED = frozenset(path for paths in _OTHER_TERMS.values() for path in paths)
"""Cut-outs, relative to the folder `stamps` of the package, that no fixed scene may show."""


def may_be_shown(cutout: str) -> bool:
    """Whether a fixed scene may show a cut-out, given by its path below `stamps`."""
    return cutout not in EXCLUDED and not cutout.startswith(tuple(_OTHER_FOLDERS.values()))
