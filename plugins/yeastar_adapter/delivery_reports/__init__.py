"""Delivery reports: the signed address that an order carries, and what comes to it (contract, section 4)."""
