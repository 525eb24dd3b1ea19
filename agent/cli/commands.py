"""The list of commands: each is registered here, and only once it works."""

from __future__ import annotations

import typer

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Put every command on ``app``; called once, before it runs."""
    if app.registered_commands or app.registered_groups:
        return
    from agent.cli import (
        annotate,
        ask,
        audit,
        bridge,
        cells,
        chat,
        data,
        demo,
        doctor,
        evaluate,
        exchange,
        graph,
        kg,
        knockout,
        literature,
        mcp,
        serve,
        train,
        train_bridge,
        train_encoder,
        train_instruct,
        train_knockout,
        train_perturb,
    )

    app.command("term")(graph.term)
    app.command("path")(graph.path)
    app.command("neighbours")(graph.neighbours)
    app.command("neighbors", hidden=True, help="The same as neighbours.")(graph.neighbours)
    app.add_typer(data.app, name="data")
    kg.app.command("export")(exchange.export)
    app.add_typer(kg.app, name="kg")
    app.command("search")(literature.search)
    app.add_typer(literature.index_app, name="index")
    app.command("doctor")(doctor.doctor)
    app.command("ask")(ask.ask)
    app.command("chat")(chat.chat)
    app.command("annotate")(annotate.annotate)
    app.command("audit")(audit.audit)
    app.command("cells")(cells.cells)
    app.command("demo")(demo.demo)
    app.command("evaluate")(evaluate.evaluate)
    app.command("knockout")(knockout.knockout)
    app.command("bridge")(bridge.bridge)
    app.command("mcp")(mcp.mcp)
    app.command("serve")(serve.serve)
    train.app.command("bridge")(train_bridge.bridge)
    train.app.command("encoder")(train_encoder.encoder)
    train.app.command("instruct")(train_instruct.instruct)
    train.app.command("knockout")(train_knockout.knockout)
    train.app.command("perturb")(train_perturb.perturb)
    app.add_typer(train.app, name="train")
