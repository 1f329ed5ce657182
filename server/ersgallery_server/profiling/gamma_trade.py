"""Error of 1:1 verification against gamma, over the test faces (the paper's appendix C)."""

import numpy as np
from ersgallery_index.calibration.faces import FaceSet
from ersgallery_index.calibration.gamma import GammaTrade, gamma_trade
from ersgallery_index.errors import CalibrationFailed
from ersgallery_index.recognizability import Derivation, Profile
from ersgallery_index.representation import represent

from ersgallery_server.reports.charts import Line, Mark, line_chart
from ersgallery_server.reports.page import Block, Drawing, Text

_MOST_FACES = 5000
_FARS = (1e-2, 1e-3, 1e-4)


def error_against_gamma(profile: Profile, faces: FaceSet) -> list[Block]:
    """Verify all pairs of test faces under each gamma; a sentence where there are no pairs of one person."""
    some = faces.take(np.linspace(0, len(faces) - 1, min(_MOST_FACES, len(faces))).round().astype(np.intp))
    try:
        trade = gamma_trade(represent(Derivation(profile), some.rows), some.identities, fars=_FARS)
    except CalibrationFailed as error:
        return [Text(f"How many pairs of one person gamma costs was not measured: {error}.")]
    return [Drawing(_chart(trade, profile.gamma), _caption(trade))]


def _chart(trade: GammaTrade, gamma: float) -> str:
    lines = []
    for place, far in enumerate(cell.far for cell in trade.rows[0].cells):
        cells = [row.cells[place] for row in trade.rows]
        lines.append(
            Line(
                f"FAR {far:g}" + ("" if all(cell.supported for cell in cells) else " (few errors)"),
                [row.gamma for row in trade.rows],
                [cell.frr.value for cell in cells],
                [cell.frr.low for cell in cells],
                [cell.frr.high for cell in cells],
                points=True,
            )
        )
    return line_chart("Pairs of one person rejected or UNSURE", "gamma", "FRR", lines, marks=[Mark("gamma", gamma)])


def _caption(trade: GammaTrade) -> str:
    return (
        f"1:1 verification of {trade.genuine:,} pairs of one person and {trade.impostor:,} of two, clean and degraded; "
        f"UNSURE is a reject and counts as an error. gamma by this measure at FAR {trade.pick.far:g}: "
        f"{trade.pick.gamma:.4f} ({trade.pick.rule})."
    )
