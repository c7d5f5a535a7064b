"""The PBX side: endpoints, the message, the error catalogue, the replies; neither Kong nor FutureSMS."""
