#!/usr/bin/env python3
"""Writes roost's manual pages from what its own argument parser tells (mdoc, section 1).

    manual.py FOLDER < output of `roost --experimental-dump-help`

Each command has a page, named as it is called: roost.1, roost-disk-serve.1.
"""

import json
import pathlib
import sys


def text(words):
    """A text as roff takes it: its controls are escaped, and a blank line begins a paragraph."""
    lines = []
    for line in words.replace("\\", "\\e").split("\n"):
        if not line.strip():
            lines.append(".Pp")
        else:
            lines.append("\\&" + line.strip() if line.lstrip()[0] in ".'" else line.strip())
    return "\n".join(lines)


def quoted(word):
    """One argument of a macro."""
    return '"%s"' % word.replace("\\", "\\e").replace('"', '""').replace("-", "\\-")


def spelled(name):
    """An option as it is typed, without its first dash, which the macro writes."""
    return name["name"] if name["kind"] == "short" else "-" + name["name"]


def item(argument):
    """An argument of a command with what it means."""
    value = argument.get("valueName", "")
    if argument["kind"] == "positional":
        head = ".It Ar %s" % quoted(value)
    else:
        names = " , ".join("Fl %s" % quoted(spelled(name)) for name in argument["names"])
        head = ".It %s" % names
        if argument["kind"] == "option":
            head += " Ar %s" % quoted(value)
    body = argument.get("abstract", "")
    if argument.get("discussion"):
        body += "\n\n" + argument["discussion"]
    choices = argument.get("allValues")
    if choices:
        body += " One of: %s." % ", ".join(choices)
    default = argument.get("defaultValue")
    if default and argument["kind"] != "flag":
        body += " Default: %s." % default
    return head + "\n" + text(body.strip())


def synopsis(argument):
    """An argument as the first lines show it."""
    value = argument.get("valueName", "")
    if argument["kind"] == "positional":
        shown = "Ar %s" % quoted(value)
    else:
        shown = "Fl %s" % quoted(spelled(argument["preferredName"]))
        if argument["kind"] == "option":
            shown += " Ar %s" % quoted(value)
    if argument["isRepeating"]:
        shown += " ..."
    return ".Op %s" % shown if argument["isOptional"] else "." + shown


def page(command, words):
    """A command's page."""
    name = "-".join(words)
    shown = [a for a in command.get("arguments", []) if a["shouldDisplay"]]
    children = [c for c in command.get("subcommands", []) if c["shouldDisplay"] and c["commandName"] != "help"]
    lines = [
        ".Dd $Mdocdate$", ".Dt %s 1" % quoted(name.upper()), ".Os", ".Sh NAME", ".Nm %s" % quoted(name),
        ".Nd %s" % text(command.get("abstract", "").rstrip(".")), ".Sh SYNOPSIS",
        ".Nm %s" % quoted(" ".join(words)),
    ]
    lines += [synopsis(argument) for argument in shown]
    if children:
        lines.append(".Ar command")
    if command.get("discussion"):
        lines += [".Sh DESCRIPTION", text(command["discussion"])]
    if children:
        lines += [".Sh COMMANDS", ".Bl -tag -width 6n"]
        for child in children:
            lines += [
                ".It Xr %s 1" % quoted(name + "-" + child["commandName"]), text(child.get("abstract", "")),
            ]
        lines.append(".El")
    if shown:
        lines += [".Sh OPTIONS", ".Bl -tag -width 6n"] + [item(argument) for argument in shown] + [".El"]
    lines += [
        ".Sh EXIT STATUS",
        "0 on success, 64 for arguments that make no sense by themselves, and 1 for everything else.",
    ]
    if len(words) > 1:
        lines += [".Sh SEE ALSO", ".Xr %s 1" % quoted("-".join(words[:-1]))]
    return name, "\n".join(lines) + "\n"


def write(folder, command, words):
    """Writes a command's page and those below it, and returns how many they are."""
    name, content = page(command, words)
    (folder / (name + ".1")).write_text(content)
    below = [c for c in command.get("subcommands", []) if c["shouldDisplay"] and c["commandName"] != "help"]
    return 1 + sum(write(folder, child, words + [child["commandName"]]) for child in below)


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: manual.py FOLDER < output of roost --experimental-dump-help")
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    told = json.load(sys.stdin)
    if told.get("serializationVersion") != 0:
        sys.exit("manual.py: the argument parser tells its commands in another form than is known here")
    print("%d manual pages" % write(folder, told["command"], ["roost"]))


main()
