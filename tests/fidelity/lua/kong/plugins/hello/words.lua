return { between = ", " }
