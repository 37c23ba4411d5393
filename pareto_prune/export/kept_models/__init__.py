"""Where the models of a study are kept: a folder, or any URL that fsspec knows (``s3://…``).

::

    ROOT/study.json              whose it is
    ROOT/dense, dense-fold-0 …   made once a study, used by every host
    ROOT/dense-DIGEST/dense …    the same behind a URL
    ROOT/trials/NUMBER-…         of trials on the front, folders of the exporter ``huggingface``
    ROOT/confirmed/NUMBER-…      of the median seed of confirmed trials

Each attempt at a trial has a place of its own, so that none touches what another has written. A
model is written beside its place and moved there; the storage then holds the place of the attempt
that counts and its digest, by which damage is noticed. One that left the front is removed after a
grace time, in which whoever is reading it can finish; so is what nobody counts or an attempt that
was killed left. Credentials of a URL come from the environment, as its file system has it.
"""
