"""The sentence encoder: unit vectors that mean something, the same each time; errors in a line."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from data.errors import BadInput, DependencyMissing
from encoders import text

ROOT = Path(__file__).parents[2]


def test_without_the_models_extra_the_message_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    text.load.cache_clear()
    with pytest.raises(DependencyMissing, match=r"pip install 'celloquy\[models\]'"):
        text.load()


def test_importing_it_loads_nothing_heavy() -> None:
    code = "import sys, encoders.text; print({'torch', 'sentence_transformers'} & set(sys.modules))"
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == "set()"


@pytest.fixture(scope="module")
def encoder() -> text.TextEncoder:
    pytest.importorskip("sentence_transformers")
    return text.load()


@pytest.mark.assets
@pytest.mark.models
class TestBundled:
    def test_unit_vectors_of_the_known_width(self, encoder: text.TextEncoder) -> None:
        vectors = encoder.encode(["a T cell", "", "x " * 2000])
        assert vectors.shape == (3, encoder.dimension) == (3, 384)
        assert vectors.dtype == np.float32
        assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
        assert encoder.encode([]).shape == (0, 384)

    def test_what_means_the_same_is_near(self, encoder: text.TextEncoder) -> None:
        a, b, c = encoder.encode(
            [
                "Exhausted T cells in tumours",
                "Dysfunctional lymphocytes infiltrating a neoplasm",
                "Rainfall over the North Sea in winter",
            ]
        )
        assert a @ b > a @ c + 0.2

    def test_it_loads_once_and_has_a_fingerprint(self, encoder: text.TextEncoder) -> None:
        assert text.load() is encoder
        assert encoder.fingerprint == text.load().fingerprint
        assert len(encoder.fingerprint) == 64

    def test_bfloat16_stays_close_to_float32(self, encoder: text.TextEncoder) -> None:
        if encoder.precision != "bfloat16":
            pytest.skip("this processor has no bfloat16 instructions")
        import sentence_transformers

        from data import sources

        exact = sentence_transformers.SentenceTransformer(str(sources.path("minilm")), device="cpu")
        texts = [f"Sentence {i} on the biology of cells and tissues." for i in range(20)]
        wanted = exact.encode(texts, normalize_embeddings=True, show_progress_bar=False)
        assert (encoder.encode(texts) * wanted).sum(axis=1).min() > 0.997

    def test_threads_may_share_it(self, encoder: text.TextEncoder) -> None:
        wanted = encoder.encode(["the same text"])
        found: list[float] = []

        def work() -> None:
            for _ in range(3):
                found.append(float((encoder.encode(["the same text"]) @ wanted.T).item()))

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(found) == 12
        assert min(found) > 0.999

    def test_kept_vectors_are_taken_from_disk(
        self, encoder: text.TextEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("CELLOQUY_HOME", str(tmp_path))
        texts = ["one", "two"]
        first = encoder.encode(texts, keep=True)
        (kept,) = (tmp_path / "models" / "vectors").iterdir()
        np.save(kept, first * -1, allow_pickle=False)
        assert np.array_equal(encoder.encode(texts, keep=True), -first)
        assert not np.array_equal(encoder.encode(["one", "three"], keep=True), first)
        # A file of another shape is not believed.
        np.save(kept, first[:1], allow_pickle=False)
        assert np.allclose(encoder.encode(texts, keep=True), first, atol=1e-2)

    def test_a_folder_by_path_is_another_name_of_the_same(self, encoder: text.TextEncoder) -> None:
        from data import sources

        other = text.load(str(sources.path("minilm")))
        assert other.fingerprint == encoder.fingerprint
        assert other.name != encoder.name

    def test_progress_of_loading_is_not_shown(
        self, encoder: text.TextEncoder, capfd: pytest.CaptureFixture[str]
    ) -> None:
        again = text.load.__wrapped__(text.BUNDLED)
        assert again.fingerprint == encoder.fingerprint
        assert capfd.readouterr() == ("", "")


@pytest.mark.models
@pytest.mark.parametrize("make", [text.load, text.load_reranker])
def test_what_is_no_model_is_refused_in_one_line(make: object, tmp_path: Path) -> None:
    pytest.importorskip("sentence_transformers")
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(BadInput, match="can be loaded from") as caught:
        make(str(tmp_path))  # type: ignore[operator]
    assert "\n" not in str(caught.value)


@pytest.mark.models
def test_a_cross_encoder_from_a_folder(tmp_path: Path) -> None:
    """A random one, as small as they come: scores follow the texts, not their order."""
    sentence_transformers = pytest.importorskip("sentence_transformers")
    transformers = pytest.importorskip("transformers")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "kinase", "neuron", "grew"]
    (tmp_path / "vocab.txt").write_text("\n".join(words))
    tokenizer = transformers.BertTokenizerFast(vocab={w: i for i, w in enumerate(words)})
    config = transformers.BertConfig(
        vocab_size=len(words),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        num_labels=1,
    )
    transformers.BertForSequenceClassification(config).save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    assert sentence_transformers.CrossEncoder
    score = text.load_reranker(str(tmp_path / "model"))
    one, two = score("kinase", ["neuron grew", "kinase grew"])
    again = score("kinase", ["kinase grew", "neuron grew"])
    assert again == pytest.approx([two, one], abs=1e-5)
    assert one != two
