"""How the process is seen from outside: logs, traces, metrics, and the watchdog over the loop."""
