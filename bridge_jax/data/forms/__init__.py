"""What a record means, one file a form: a conversation, a captioned picture, an edit.

Each has `read(record, homes, where, found)`, which gives what it found and puts what is
wrong into `found`. Pictures stay files or bytes: nothing is decoded here.
"""
