"""The suite ``retrieval``: how well a question finds its abstract, by words, vectors, both.

``python -m training.evaluate.retrieval --data FOLDER`` asks three sets of questions:

* *known item, alone*: the 1,000 questions of PubMedQA-L (Jin et al. 2019), each of which shall
  find its own abstract among the 1,000. Most are titles, so words do well: a smoke test.
* *known item, in the sample*: the same among the abstracts of the PubMed sample of 2021.
* *paraphrases*: ``tests/golden/paraphrases.tsv``, questions in words of their own over abstracts
  of that sample, written and frozen before any was searched for.

The size of a window was chosen on the first two sets (so their figures are a check, no test). The
fusion and the near words were chosen on other paraphrases (``paraphrases_tuning.tsv``) and on
titles of the sample that look for their own abstracts; nothing was chosen on the third set. Spreads
are bootstrap standard errors over the questions; two methods are compared question by question.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from data import locations, sources
from data.cache import sha256
from data.errors import BadFile
from retrieval.corpora import CORPORA
from retrieval.hybrid import Expand, Fusion, Mode
from retrieval.index import LiteratureIndex, open_index
from retrieval.manifest import NAME
from retrieval.medline import Citation
from retrieval.writing import default_folder, writer
from training.evaluate.figures import Report, versions

if TYPE_CHECKING:
    from encoders.text import TextEncoder

__all__ = ["main", "read_pubmedqa", "read_questions", "retrieval"]

DEPTH = 100
"""A question whose abstract is not among so many counts 0."""

_RESAMPLES = 1000

Questions = Sequence[tuple[str, str]]
"""Pairs of the PMID that answers and the question."""


def read_questions(path: Path) -> list[tuple[str, str]]:
    """PMID and question of each row of the paraphrase set."""
    lines = path.read_text(encoding="utf-8").splitlines()
    rows = [line.split("\t") for line in lines if line and not line.startswith("#")]
    if not rows or rows[0] != ["pmid", "question"] or any(len(row) != 2 for row in rows):
        raise BadFile(f"{path} is no set of questions; expected columns pmid and question")
    return [(row[0], row[1]) for row in rows[1:]]


def read_pubmedqa(path: Path) -> tuple[list[Citation], list[tuple[str, str]]]:
    """The abstracts of PubMedQA-L, without titles and conclusions, and their questions."""
    citations, questions = [], []
    for pmid, item in json.loads(path.read_text(encoding="utf-8")).items():
        labelled = zip(item["LABELS"], item["CONTEXTS"], strict=False)
        sections = [f"{label}: {' '.join(text.split())}" for label, text in labelled]
        citations.append(Citation(pmid, "", "\n".join(sections)))
        questions.append((pmid, item["QUESTION"]))
    return citations, questions


def retrieval(
    folder: Path, paraphrases: Path, seed: int = 0, expand: Expand | None = None
) -> Report:
    """Run the suite.

    Parameters
    ----------
    folder
        Development data; holds ``qa/pubmedqa_ori_pqal_1000.json``.
    paraphrases
        The paraphrase set.
    seed
        Of the bootstrap and of the random ranking.
    expand
        Gives an ontology's other names of what a question names; without it the figures with
        expansion are left out.
    """
    from encoders import text

    encoder = text.load()
    path = folder / "qa" / "pubmedqa_ori_pqal_1000.json"
    citations, known = read_pubmedqa(path)
    digest = sha256(path)[:12]
    report = Report(
        "retrieval",
        versions=versions("faiss-cpu", "sentence-transformers", "torch", "transformers"),
        seed=seed,
        assets={"pubmed-2021": sources.asset("pubmed-2021").release, "pubmedqa": digest},
    )
    _default(encoder)
    home = locations.literature()
    sets: list[tuple[str, Questions, Path]] = [
        ("known item, alone", known, _beside(home / "known", citations, digest, encoder)),
        (
            "known item, in the sample",
            known,
            _beside(home / "known-in-sample", citations, digest, encoder, default_folder()),
        ),
        ("paraphrases", read_questions(paraphrases), default_folder()),
    ]
    for name, questions, where in sets:
        with open_index(where, encoder=_Remembering(encoder, questions)) as index:
            _score(report, name, questions, index, expand, seed)
    return report


class _Remembering:
    """The encoder, with all questions encoded at once: each is asked in several modes."""

    def __init__(self, encoder: TextEncoder, questions: Questions) -> None:
        self.name = encoder.name
        self.dimension = encoder.dimension
        self.fingerprint = encoder.fingerprint
        self._encoder = encoder
        texts = [question for _, question in questions]
        self._known = dict(zip(texts, encoder.encode(texts), strict=True))

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors of texts."""
        if all(text in self._known for text in texts):
            return np.stack([self._known[text] for text in texts])
        return self._encoder.encode(texts)


def _score(
    report: Report,
    name: str,
    questions: Questions,
    index: LiteratureIndex,
    expand: Expand | None,
    seed: int,
) -> None:
    """Add the figures of one set of questions."""
    rng = np.random.default_rng(seed)
    n = int(index.stats()["citations"])
    places = {
        "hybrid": _places(index, questions, "hybrid"),
        "BM25": _places(index, questions, "lexical"),
        "dense": _places(index, questions, "dense"),
        "reciprocal ranks": _places(index, questions, "hybrid", fusion="reciprocal"),
        "no near words": _places(index, questions, "hybrid", fusion="exact"),
    }
    if expand is not None:
        places["BM25 + synonyms"] = _places(index, questions, "lexical", expand)
        places["hybrid + synonyms"] = _places(index, questions, "hybrid", expand)
    places["random"] = rng.integers(1, n + 1, len(questions)).astype(np.float64)
    draws = rng.integers(0, len(questions), (_RESAMPLES, len(questions)))
    for method, found in places.items():
        for figure, values in _figures(found).items():
            spread = float(values[draws].mean(axis=1).std())
            row = (f"{name}: {figure}", float(values.mean()), len(questions), spread)
            if method == "hybrid":
                report.add(*row)
            else:
                report.beside(method, *row)
    for other in [one for one in places if one not in ("hybrid", "random")]:
        gain = _figures(places["hybrid"])["MRR"] - _figures(places[other])["MRR"]
        low, high = np.quantile(gain[draws].mean(axis=1), [0.025, 0.975])
        report.notes.append(
            f"{name}, over {n:,} abstracts: hybrid - {other} MRR {gain.mean():+.4f} "
            f"(95 % of resamples {low:+.4f} to {high:+.4f})"
        )


def _places(
    index: LiteratureIndex,
    questions: Questions,
    mode: Mode,
    expand: Expand | None = None,
    fusion: Fusion = "near",
) -> NDArray[np.float64]:
    """The rank of each question's own abstract; infinite where it is not found."""
    places = np.full(len(questions), np.inf)
    for i, (pmid, question) in enumerate(questions):
        ranked = index.rank(question, DEPTH, mode=mode, expand=expand, fusion=fusion)
        wanted = index.citation(pmid)
        for place, row in enumerate(ranked, start=1):
            if wanted is not None and row.doc == wanted.doc:
                places[i] = place
                break
    return places


def _figures(places: NDArray[np.float64]) -> Mapping[str, NDArray[np.float64]]:
    """Per question: found first, found among ten, reciprocal rank."""
    return {
        "R@1": (places == 1).astype(np.float64),
        "R@10": (places <= 10).astype(np.float64),
        "MRR": np.where(places <= DEPTH, 1 / places, 0.0),
    }


def _default(encoder: TextEncoder) -> None:
    """Build the default index, or finish it; nothing is done where it is whole."""
    if (default_folder() / NAME).exists():
        with open_index() as index:
            if _whole(index):
                return
    corpus = CORPORA["default"]
    with writer(corpus="default") as change:
        for name in corpus.assets:
            change.add(sources.path(name), keep=corpus.keep)
        change.embed(encoder, _shown("default index"))


def _whole(index: LiteratureIndex) -> bool:
    dense = index.manifest.dense
    return bool(dense and "words" in dense and dense["vectors"] == index.stats()["windows"])


def _beside(
    folder: Path,
    citations: Sequence[Citation],
    digest: str,
    encoder: TextEncoder,
    base: Path | None = None,
) -> Path:
    """An index of these citations, on top of a copy of ``base``; kept for the next run."""
    name = f"pubmedqa {digest}"
    if base is not None:
        name += f" in {open_index(base).stats()['citations']}"
    if (folder / NAME).exists():
        with open_index(folder) as index:
            if index.stats()["corpus"] == name and _whole(index):
                return folder
    shutil.rmtree(folder, ignore_errors=True)
    if base is not None:
        shutil.copytree(base, folder, ignore=shutil.ignore_patterns("lock*"))
    with writer(folder, corpus=name) as change:
        # An abstract of the set that the sample has too would stand there with its title.
        change.delete([citation.pmid for citation in citations])
        change.add_records(citations, "PubMedQA-L")
        change.embed(encoder, _shown(folder.name))
    return folder


def _shown(title: str) -> Callable[[int, int], None]:
    def progress(done: int, total: int) -> None:
        sys.stderr.write(f"\r{title}: {done:,} of {total:,} windows encoded")
        if done == total:
            sys.stderr.write("\n")

    return progress


def main(arguments: list[str] | None = None) -> int:
    """Print the suite; ``--json FILE`` writes it too."""
    parser = argparse.ArgumentParser(prog="python -m training.evaluate.retrieval")
    parser.add_argument("--data", type=Path, required=True, help="folder of development data")
    parser.add_argument("--paraphrases", type=Path, default=Path("tests/golden/paraphrases.tsv"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    from kg.embedded import EmbeddedGraph
    from retrieval.expansion import synonyms

    expand = synonyms(EmbeddedGraph.open())
    report = retrieval(options.data, options.paraphrases, options.seed, expand)
    report.show(options.json)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
