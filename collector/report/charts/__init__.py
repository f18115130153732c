"""Charts as Vega-Lite specifications, their rows, and the door to what draws them."""
