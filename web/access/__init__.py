"""Who may see and do what: grants, the guard before every route, and what one person sees of the fleet."""
