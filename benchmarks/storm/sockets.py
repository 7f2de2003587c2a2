from dataclasses import dataclass
@dataclass(frozen=True)
class Measured: ...
def measured(): return []
