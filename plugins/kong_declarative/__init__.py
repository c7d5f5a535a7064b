"""Kong's declarative format: entity and plugin schemas, types, vault references, YAML with line numbers.

One validator for `yeastarctl config check`, the embedded gateway and the tests: what it refuses, Kong 3.9 refuses, in
Kong's words. Stands for `kong/db/schema` and `kong/db/declarative` of Kong's source. Imports nothing of this project.
"""
