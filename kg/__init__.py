"""Terms, typed edges, graph back ends, ontology mathematics and grounding."""
