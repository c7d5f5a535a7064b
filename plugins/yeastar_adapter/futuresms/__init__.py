"""The order side: the order, the Merchant session, what an answer means. Knows neither Kong nor Yeastar."""
