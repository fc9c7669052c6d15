"""What entities are made of: columns with dtype, unit and meaning. No behaviour."""
