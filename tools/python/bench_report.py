"""What a benchmark says: one JSON object, or the same as a table (see DESIGN, "Running it")."""

import statistics
from dataclasses import dataclass, field


@dataclass
class Report:
    bench: str
    comparisons: list[dict] = field(default_factory=list)
    figures: dict = field(default_factory=dict)
    runs: int = 0
    spread: float = 0.0

    def compare(self, reference_name: str, ours: float, reference: float, unit: str,
                more_is_better: bool = True) -> None:
        """ratio > 1 always means that ours is better."""
        best, worst = (ours, reference) if more_is_better else (reference, ours)
        self.comparisons.append({
            "reference_name": reference_name, "ours": rounded(ours),
            "reference": rounded(reference), "ratio": rounded(best / worst if worst else 0.0),
            "unit": unit})

    def as_json(self) -> dict:
        return {"bench": self.bench, "comparisons": self.comparisons, "figures": self.figures,
                "runs": self.runs, "spread": rounded(self.spread)}

    def as_table(self) -> str:
        lines = [f"{self.bench}: {self.runs} runs, spread {self.spread:.1%}", ""]
        lines.append(f"{'reference':<44} {'ours':>14} {'reference':>14} {'ratio':>8}  unit")
        for c in self.comparisons:
            lines.append(f"{c['reference_name']:<44} {c['ours']:>14,.6g} {c['reference']:>14,.6g} "
                         f"{c['ratio']:>8.2f}  {c['unit']}")
        lines.append("")
        lines += _figures(self.figures, "")
        return "\n".join(lines)


def _figures(figures: dict, indent: str) -> list[str]:
    lines = []
    for name, value in figures.items():
        if isinstance(value, dict):
            lines.append(f"{indent}{name}:")
            lines += _figures(value, indent + "  ")
        elif isinstance(value, list) and any(isinstance(one, dict) for one in value):
            lines.append(f"{indent}{name}:")
            for one in value:
                text = ", ".join(f"{k} {v}" for k, v in one.items()) if isinstance(one, dict) else one
                lines.append(f"{indent}  - {text}")
        else:
            lines.append(f"{indent}{name}: {value}")
    return lines


def rounded(value: float) -> float:
    return float(f"{value:.5g}")


def median(values: list[float]) -> float:
    return statistics.median(values) if values else 0.0


def spread(values: list[float]) -> float:
    """(largest - smallest) / median: 0 when all runs agree."""
    middle = median(values)
    return (max(values) - min(values)) / middle if middle else 0.0
