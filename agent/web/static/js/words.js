// Words for ids: relations, and the evidence codes of the Gene Ontology (geneontology.org/docs).

const RELATIONS = {
  "rdfs:subClassOf": "is a", "BFO:0000050": "part of", "BFO:0000051": "has part", "RO:0002202": "develops from",
  "RO:0002215": "capable of", "RO:0002211": "regulates", "RO:0002212": "negatively regulates", "RO:0002213": "positively regulates",
  "RO:0002104": "has plasma membrane part", "RO:0002331": "involved in", "RO:0002327": "enables", "RO:0001025": "located in",
  "RO:0002292": "expresses", "RO:0002436": "interacts with", "RO:0002432": "is active in", "BFO:0000066": "occurs in",
  "biolink:gene_associated_with_condition": "associated with", "biolink:orthologous_to": "orthologous to",
  "celloquy:marker_of": "marker of", "celloquy:mentions": "mentions",
};

export const relation = (id) => RELATIONS[id] ?? id;

export const CODES = {
  EXP: "inferred from experiment", IDA: "inferred from direct assay", IPI: "inferred from physical interaction",
  IMP: "inferred from mutant phenotype", IGI: "inferred from genetic interaction", IEP: "inferred from expression pattern",
  HDA: "high-throughput direct assay", HMP: "high-throughput mutant phenotype", HEP: "high-throughput expression pattern",
  IBA: "inferred from biological aspect of ancestor", ISS: "inferred from sequence similarity", ISO: "inferred from sequence orthology",
  ISA: "inferred from sequence alignment", ISM: "inferred from sequence model", IGC: "inferred from genomic context",
  RCA: "reviewed computational analysis", TAS: "traceable author statement", NAS: "non-traceable author statement",
  IC: "inferred by curator", ND: "no biological data", IEA: "inferred from electronic annotation",
};
