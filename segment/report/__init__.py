"""The report: one self-contained HTML page, and every figure and table as a file.

`segment.report.build.write_report` is its face.
"""
