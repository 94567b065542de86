"""From scores to one page: comparison with paired intervals, figures, tables and words.

`compare.compare` turns the scores of all models into plain numbers (`data.ReportData`);
`page.write_report` turns the numbers into a folder with one self-contained HTML page. Nothing in
here loads a model, and no number is typed: what the words say is read off the data.
"""
