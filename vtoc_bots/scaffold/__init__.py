"""What plugin authors are given to begin with: a working package of each kind, made from templates."""
