"""From alerts to messages for people: incidents, groups, silences. It may use the clock; what is detected is decided.

Matchers on labels stand in `config.matchers`, as the configuration holds some; what is kept, in `store.notification`.
"""
