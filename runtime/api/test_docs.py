"""docs/api.md says what the route table says."""

import routes_doc


def test_the_tables_of_the_documentation_are_those_of_the_routes():
    text = routes_doc.DOC.read_text(encoding="utf-8")
    assert routes_doc.made() in text, "run runtime/api/routes_doc.py"
    served = [path for _, path, is_served, _ in routes_doc.routes() if is_served]
    assert "/containers/{id}/logs" in served and len(served) > 20
