"""The Lambda that EventBridge triggers: it stamps what changed on the stamp sheet."""
