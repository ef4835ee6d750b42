"""What streams of other people's records share: order, packing, and what is of no use.

Such a stream is a `record_stream.RecordStream`, or a `segment_stream.SegmentStream`
where each record makes one text; `packed_stream` puts several of these into a row.
Records that cannot be used are counted (`rejects`) and told.
"""
