"""What a rollout does to nodes and reads from them. Decides nothing: `controller.core.rollout` does."""
