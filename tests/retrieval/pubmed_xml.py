"""MEDLINE XML made for tests: records of invented articles, with the elements that are read."""

from __future__ import annotations

from xml.sax.saxutils import escape, quoteattr

PROLOG = (
    '<?xml version="1.0" encoding="utf-8"?>\n'
    '<!DOCTYPE PubmedArticleSet PUBLIC "-//NLM//DTD PubMedArticle, 1st January 2019//EN" '
    '"https://dtd.nlm.nih.gov/ncbi/pubmed/out/pubmed_190101.dtd">\n<PubmedArticleSet>\n'
)
EPILOG = "</PubmedArticleSet>\n"


def article(
    pmid: int | str,
    title: str = "A title.",
    sections: dict[str, str] | str = "One sentence. Another sentence.",
    *,
    year: int | None = 2020,
    revised: str = "2021-06-07",
    version: int = 1,
    mesh: tuple[str, ...] = (),
    types: tuple[str, ...] = ("Journal Article",),
    notices: tuple[tuple[str, int], ...] = (),
    journal: str = "Journal of Tests",
) -> str:
    """One PubmedArticle; a section named "" has no label."""
    parts = {"": sections} if isinstance(sections, str) else sections
    texts = "".join(
        f"<AbstractText{f' Label={quoteattr(label)}' if label else ''}>{escape(text)}"
        "</AbstractText>"
        for label, text in parts.items()
    )
    abstract = f"<Abstract>{texts}<CopyrightInformation>c</CopyrightInformation></Abstract>"
    date = dict(zip(("Year", "Month", "Day"), revised.split("-"), strict=True))
    headings = "".join(
        f"<MeshHeading><DescriptorName>{escape(term)}</DescriptorName>"
        "<QualifierName>physiology</QualifierName></MeshHeading>"
        for term in mesh
    )
    links = "".join(
        f'<CommentsCorrections RefType="{kind}"><RefSource>Somewhere</RefSource>'
        f'<PMID Version="1">{other}</PMID></CommentsCorrections>'
        for kind, other in notices
    )
    published = f"<Year>{year}</Year>" if year else "<MedlineDate>1976 Nov-Dec</MedlineDate>"
    return (
        f'<PubmedArticle><MedlineCitation Status="MEDLINE"><PMID Version="{version}">{pmid}'
        f"</PMID><DateRevised>{''.join(f'<{k}>{v}</{k}>' for k, v in date.items())}"
        "</DateRevised><Article><Journal><JournalIssue><PubDate>"
        f"{published}</PubDate></JournalIssue><Title>{escape(journal)}</Title>"
        "<ISOAbbreviation>J Tests</ISOAbbreviation></Journal>"
        f"<ArticleTitle>{escape(title)}</ArticleTitle>{abstract if sections else ''}"
        "<PublicationTypeList>"
        + "".join(f"<PublicationType>{kind}</PublicationType>" for kind in types)
        + "</PublicationTypeList></Article>"
        "<MedlineJournalInfo><MedlineTA>J Tests</MedlineTA></MedlineJournalInfo>"
        f"<CommentsCorrectionsList>{links}</CommentsCorrectionsList>"
        f"<MeshHeadingList>{headings}</MeshHeadingList></MedlineCitation>"
        "<PubmedData><ArticleIdList><ArticleId>x</ArticleId></ArticleIdList></PubmedData>"
        "</PubmedArticle>\n"
    )


def deletion(*pmids: int) -> str:
    """A DeleteCitation element."""
    inside = "".join(f'<PMID Version="1">{pmid}</PMID>\n' for pmid in pmids)
    return f"<DeleteCitation>\n{inside}</DeleteCitation>\n"


def document(*records: str) -> bytes:
    """A whole file."""
    return (PROLOG + "".join(records) + EPILOG).encode()
