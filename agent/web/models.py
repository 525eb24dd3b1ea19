"""What the API takes and gives, typed; OpenAPI is made of these."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = [
    "AnnotateRequest", "AskRequest", "ColourDocument", "DatasetDocument", "ErrorDocument",
    "Health", "ImageDocument", "JobDocument", "LayoutRequest", "MarkerDocument", "PassageDocument",
    "SelectionDocument", "SelectionRequest", "SummaryDocument", "TermAnswer",
]  # fmt: skip

Id = Annotated[str, Field(min_length=1, max_length=64)]
Name = Annotated[str, Field(min_length=1, max_length=200)]
Number = Annotated[float, Field(allow_inf_nan=False, ge=-1e12, le=1e12)]
Corner = Annotated[list[Number], Field(min_length=2, max_length=2)]


class Taken(BaseModel):
    """A request's body; what it does not know it refuses."""

    model_config = ConfigDict(extra="forbid")


class ErrorDocument(BaseModel):
    """Why a request was refused: one line for the reader."""

    error: str


class Health(BaseModel):
    """The state of the server."""

    status: Literal["ok"]
    version: str
    demo: bool
    upload_bytes: int
    image_bytes: int
    knockouts: bool = Field(description="Whether a model says which gene is knocked out.")
    drawn: int
    releases: dict[str, str]


class ColumnDocument(BaseModel):
    """A column of the table of cells that can colour them."""

    name: str
    kind: Literal["groups", "numbers"]
    groups: int


class DatasetDocument(BaseModel):
    """A dataset of the session."""

    id: str
    name: str
    n_cells: int
    n_genes: int
    matrix: str
    species: str
    picture: str = Field(description="Where the coordinates come from; empty while there are none.")
    placed: bool
    drawn: int = Field(description="Cells drawn; 0 while there are no coordinates.")
    columns: list[ColumnDocument]
    annotated: bool
    notices: list[str]
    unread: str = Field(description="Why the dataset cannot be annotated; empty where it can.")
    jobs: list[str] = Field(description="Ids of its jobs that have not ended.")


class ColourDocument(BaseModel):
    """A group or a number for each drawn cell, in the order of drawing."""

    kind: Literal["groups", "numbers"]
    title: str
    names: list[str]
    ids: list[str]
    total: list[int] = Field(description="Cells of each group, drawn or not.")
    least: float | None
    most: float | None
    data: str = Field(description="Base64 of uint16 (groups) or float32 (numbers), little-endian.")


class SelectionRequest(Taken):
    """Which cells are meant: exactly one of polygon, cells, column with value, answer, combine."""

    dataset: Id
    name: Name | None = None
    polygon: Annotated[list[Corner], Field(min_length=3, max_length=2_000)] | None = None
    cells: Annotated[list[Annotated[int, Field(ge=0)]], Field(max_length=1_000_000)] | None = None
    column: Name | None = None
    value: Annotated[str, Field(max_length=200)] | None = None
    answer: Name | None = Field(default=None, description="Label of the annotation's term.")
    combine: Literal["both", "either", "without"] | None = None
    a: Id | None = None
    b: Id | None = None


class CountDocument(BaseModel):
    """A group and how many of the selected cells are in it."""

    name: str
    n_cells: int


class SelectionDocument(BaseModel):
    """Some cells of a dataset."""

    id: str
    name: str
    dataset: str
    how: str
    n_cells: int
    share: float
    groups_of: str = Field(description="What the groups are: the column, or the annotation.")
    groups: list[CountDocument]
    drawn: str = Field(description="Base64 of one bit for each drawn cell, most significant first.")


class ImageDocument(BaseModel):
    """An image of cells."""

    id: str
    name: str
    pictures: int = Field(description="How many the file holds, all of one size.")
    channels: list[str]
    height: int
    width: int


class AskRequest(Taken):
    """A question, and the cells or the image that it is about.

    Which gene is knocked out is asked of the image alone unless a selection is given as well.
    """

    question: Annotated[str, Field(min_length=1, max_length=2_000)]
    dataset: Id | None = None
    selection: Id | None = None
    other: Id | None = Field(default=None, description="A selection to compare with.")
    image: Id | None = None


class AnnotateRequest(Taken):
    """How to annotate a dataset."""

    dataset: Id
    groupby: Name | None = None
    candidates: Annotated[list[Id], Field(max_length=20)] = []
    tissue: Id | None = None
    min_confidence: Annotated[float, Field(gt=0, le=1)] = 0.5


class LayoutRequest(Taken):
    """Whose picture to compute."""

    dataset: Id


class JobDocument(BaseModel):
    """The progress of a job."""

    id: str
    kind: str
    dataset: str
    state: Literal["waiting", "running", "done", "failed", "cancelled"]
    stage: str
    done: int
    total: int
    error: str
    result: dict[str, Any] | None


class MarkerDocument(BaseModel):
    """A marker for or against an answer."""

    gene: str
    role: str
    inside: float
    outside: float
    sources: list[str]


class TermAnswer(BaseModel):
    """One term that was an answer."""

    id: str
    label: str
    n_cells: int
    share: float
    confidence: float
    depth: int
    supporting: list[MarkerDocument]
    against: list[MarkerDocument]


class SummaryDocument(BaseModel):
    """What an annotation found."""

    n_cells: int
    abstained: int
    terms: list[TermAnswer]
    notices: list[str]
    releases: dict[str, str]
    n_genes_used: int
    seconds: float


class PassageDocument(BaseModel):
    """A citation's stored text: its title, a blank line and its abstract."""

    pmid: str
    text: str
