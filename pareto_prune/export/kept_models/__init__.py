"""Where the models of a study are kept: a folder, or any URL that fsspec knows (``s3://…``).

::

    ROOT/dense, dense-fold-0 …   made once a study, used by every host
    ROOT/trials/NUMBER           of trials on the front, folders of the exporter ``huggingface``
    ROOT/confirmed/NUMBER        of the median seed of confirmed trials

A model is written beside its place and moved there; the storage then holds its digest, by which
damage is noticed. One that left the front is removed after a grace time, in which whoever is
reading it can finish. Credentials of a URL come from the environment, as its file system has it.
"""
