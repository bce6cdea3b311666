class KazooState(str):
    SUSPENDED: KazooState
    CONNECTED: KazooState
    LOST: KazooState

class WatchedEvent: ...
