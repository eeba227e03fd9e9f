"""The services that the line is rehearsed on: a Plane and a Gitea over HTTP on loopback, with nothing to install.

Owns: stateful servers that behave as real ones were seen to, their bad manners included, and the faults that a call can be given.
Does not own what is rehearsed on them: ``orch demo --services`` and the tests. Rule: they are the other side of the wire and
know nothing of adapters, actors or settings; the daemon never imports them.
"""
