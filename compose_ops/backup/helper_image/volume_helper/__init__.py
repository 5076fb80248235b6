"""
Runs in the helper container: copies, checks, unpacks and swaps one volume's files.

Requests come as JSON lines on stdin, answers leave as JSON lines on stdout: any number
of {"progress": bytes}, then {"done": {...}} or {"failed": "what happened"}. The end of
stdin ends the helper, so it does not outlive the task that speaks to it.
"""
