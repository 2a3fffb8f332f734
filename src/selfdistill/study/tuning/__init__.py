"""Search for a method's arguments, learning rate and weight decay on held-out training images."""
