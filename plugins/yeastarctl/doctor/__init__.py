"""`yeastarctl doctor`: is everything there that a message needs?"""
