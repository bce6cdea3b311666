from collections.abc import Sequence

class ACL: ...

CREATOR_ALL_ACL: Sequence[ACL]
OPEN_ACL_UNSAFE: Sequence[ACL]
