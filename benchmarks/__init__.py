"""What Sleepwalker costs, beside what people use instead of it, as ratios from one run.

Rules:

1. What is compared is measured in the same run, in rounds that take turns, and told as the ratio of
   two neighbours: a machine that slows down slows both.
2. The conditions (environment, spans, metrics, answers) are checked before anything is measured.
3. A peer gets its best honest form; what its users would have to do too is done for it.
4. A missed budget is told, not hidden, and fails nothing here.
"""
